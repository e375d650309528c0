/** Where and to whom the daemon answers over HTTP. Messages state what is allowed (see leaves.ts). */
import * as z from 'zod/mini';
import { SOURCE_NAME } from '../domain/archive-name.ts';
import { SCOPES } from '../domain/scopes.ts';
import { described, optional, withDefault } from '../lib/described.ts';
import { choice, count, list, matching, section, text } from './leaves.ts';
import { NAME_ALLOWED, secretSchema, tokenSchema } from './source-schema.ts';

export const SOCKET_MODES = ['0600', '0660', '0666'] as const;

const NETWORK_ALLOWED =
  'an IP address, a network such as "10.0.0.0/8", or "unix" for whoever connects to `http.socket`';

function isNetwork(value: string): boolean {
  if (value === 'unix') return true;
  const [address = '', bits, ...rest] = value.split('/');
  // Loaded for those who name networks.
  const family = process.getBuiltinModule('node:net').isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}

const TLS_ALLOWED = 'an object with `cert` and `key`';
const TOKEN_ALLOWED = 'an object with `name`, `token` and `scopes`';
const TARGET_ALLOWED = 'an object with `name` and either `url` or `directory`';
const targetName = () =>
  described(
    matching(SOURCE_NAME, NAME_ALLOWED),
    'What `to` of a restore calls it, unique among the targets.',
  );

export const httpSchema = section(
  {
    host: withDefault(
      matching(/^[^\s/]+$/, 'a host name or address'),
      '127.0.0.1',
      'The address to listen on.',
    ),
    port: withDefault(count(0, 65_535), 9480, 'The port to listen on; 0 takes any free one.'),
    socket: optional(text('the path of a unix socket'), 'Listen on this unix socket, and on no address.'),
    socketMode: withDefault(choice(SOCKET_MODES), '0660', 'Who may connect to the unix socket.'),
    tls: optional(
      section(
        {
          cert: described(text('the path of a file'), 'File with the certificate and its chain, PEM.'),
          key: described(text('the path of a file'), 'File with the private key, PEM.'),
        },
        TLS_ALLOWED,
      ),
      'Serve HTTPS with this certificate; its files are read again on SIGHUP.',
    ),
    tokens: withDefault(
      z.array(
        section(
          {
            name: described(
              matching(SOURCE_NAME, NAME_ALLOWED),
              'Who holds it: the `actor` in log, manifests and journal; unique among the tokens.',
            ),
            token: described(
              tokenSchema,
              'The token, 20 characters or more, as a reference to a secret. In plain text it is accepted with a warning.',
            ),
            scopes: described(list(choice(SCOPES), 'an array of at least one scope'), 'What it is good for.'),
          },
          TOKEN_ALLOWED,
        ),
        'an array of tokens',
      ),
      [],
      'Who may use the API; without any it is off.',
    ),
    metrics: withDefault(
      choice(['public', 'token']),
      'public',
      'Whether `/metrics` needs a token, with the scope `metrics` or `read`.',
    ),
    trustedProxies: withDefault(
      z.array(
        text(NETWORK_ALLOWED).check(z.refine(isNetwork, NETWORK_ALLOWED)),
        'an array of addresses and networks',
      ),
      [],
      'Reverse proxies whose `X-Forwarded-For` says who the client is.',
    ),
    restoreTargets: withDefault(
      z.array(
        z.union(
          [
            section(
              {
                name: targetName(),
                url: described(
                  z.clone(secretSchema),
                  'A server and database, as a connection URI, as a reference to a secret.',
                ),
              },
              TARGET_ALLOWED,
            ),
            section(
              {
                name: targetName(),
                directory: described(
                  text('the path of a directory'),
                  'A directory; each restore makes one of its own in it.',
                ),
              },
              TARGET_ALLOWED,
            ),
          ],
          TARGET_ALLOWED,
        ),
        'an array of targets',
      ),
      [],
      'Where restores over HTTP may go; nowhere else.',
    ),
  },
  'an object with `host` and `port`',
);

export type HttpInput = z.infer<typeof httpSchema>;
