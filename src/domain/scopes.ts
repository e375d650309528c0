/**
 * What a token may do over HTTP. `read`: look at everything, archives included; `operate`: back up, verify, drill,
 * pin and unpin; `delete`: delete and prune; `restore`: restore into the configured targets; `metrics`: the metrics
 * alone, where they need a token.
 */
export const SCOPES = ['read', 'operate', 'delete', 'restore', 'metrics'] as const;
export type Scope = (typeof SCOPES)[number];
