import type { Job } from '../domain/job.ts';
import type { Root } from '../domain/manifest.ts';
import type { Topic } from '../domain/notice.ts';
import type { RetentionPolicy } from '../domain/retention.ts';
import type { Scope } from '../domain/scopes.ts';

/**
 * The configuration as the program uses it: every default filled in, every duration in milliseconds,
 * every path absolute, every secret resolved, every job with its effective settings.
 */
export interface Config {
  /** False: the daemon starts no run by itself; commands work. */
  enabled: boolean;
  /** IANA name; the schedules of retention and scrub go by it. */
  timezone: string;
  /** Absolute. */
  location: string;
  /** In the order of the file. */
  jobs: JobConfig[];
  /** Runs at once. */
  concurrency: number;
  requireMount: boolean;
  retention: RetentionConfig;
  scrub?: ScrubConfig;
  scratch: ScratchConfig;
  http: HttpConfig;
  /** In the order of the file; their names differ. */
  notify: NotifierConfig[];
}

/** A job as the engine knows it, but with the description of its sources in place of the sources. */
export interface JobConfig extends Omit<Job, 'sources'> {
  /** False also when the top level is disabled. */
  readonly enabled: boolean;
  readonly sources: readonly SourceConfig[];
}

export type SourceConfig = PostgresSourceConfig | FilesSourceConfig;

export interface PostgresSourceConfig {
  readonly type: 'postgres';
  readonly name: string;
  /** The resolved secret: never log it. */
  readonly url: string;
  readonly format: 'plain' | 'custom' | 'directory';
  /** Of the directory format: connections that dump at once. */
  readonly dumpJobs?: number;
  /** Patterns of pg_dump; an empty array is no restriction. */
  readonly include: ObjectPatterns;
  readonly exclude: ObjectPatterns;
  readonly lockWaitTimeout_ms: number;
  /** Absolute. */
  readonly binDir?: string;
  readonly exclusive: boolean;
  /** Present: the roles and tablespaces of the server too, with the hashes of their passwords or without. */
  readonly globals?: { readonly passwords: boolean };
}

export interface ObjectPatterns {
  readonly schemas: readonly string[];
  readonly tables: readonly string[];
}

export interface FilesSourceConfig {
  readonly type: 'files';
  readonly name: string;
  /** Absolute paths and the names they have in the archive, unique within the source. */
  readonly directories: readonly Root[];
  /** Glob patterns. */
  readonly exclude: readonly string[];
}

export interface RetentionConfig {
  /** Cron expression: when to prune. */
  schedule: string;
  /** For the series of sources that no job holds any more; each job has its own in full. */
  policy: RetentionPolicy;
}

export interface ScrubConfig {
  /** Cron expression. */
  schedule: string;
  /** The part of all archives to verify each time, above 0 and at most 1. */
  share: number;
}

export interface ScratchConfig {
  /** Absolute; the temporary directory of the system when absent. */
  directory?: string;
  /** The resolved secret: never log it. */
  url?: string;
}

export interface HttpConfig {
  host: string;
  /** 0: any free port. */
  port: number;
  /** Absolute; present: no address is listened on. */
  socket?: string;
  /** Mode bits of the socket. */
  socketMode: number;
  /** Absolute paths. */
  tls?: { cert: string; key: string };
  /** Empty: there is no API. */
  tokens: TokenConfig[];
  metrics: 'public' | 'token';
  /** Addresses, networks and `unix`. */
  trustedProxies: string[];
  restoreTargets: RestoreTargetConfig[];
}

export interface TokenConfig {
  name: string;
  /** The resolved secret: never log it. */
  token: string;
  scopes: Scope[];
}

/** A URI is a resolved secret: never log it. A directory is absolute. */
export type RestoreTargetConfig = { name: string; url: string } | { name: string; directory: string };

export type NotifierConfig = EmailConfig | WebhookConfig | HealthchecksConfig;

interface AnyNotifierConfig {
  name: string;
  on: Topic[];
  /** Names of jobs; all, and the maintenance too, when absent. */
  jobs?: string[];
  repeat_ms: number;
}

export interface EmailConfig extends AnyNotifierConfig {
  type: 'email';
  host: string;
  port: number;
  tls: 'starttls' | 'implicit' | 'none';
  /** Absolute: certificates to trust beside none other. */
  ca?: string;
  user?: string;
  /** The resolved secret: never log it. */
  password?: string;
  from: string;
  to: string[];
}

export interface WebhookConfig extends AnyNotifierConfig {
  type: 'webhook';
  /** Resolved secrets, all three: never log them. */
  url: string;
  secret?: string;
  token?: string;
  format: 'json' | 'slack' | 'ntfy';
}

export interface HealthchecksConfig extends AnyNotifierConfig {
  type: 'healthchecks';
  /** The resolved secret: never log it. */
  url: string;
}
