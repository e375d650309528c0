import { syncBuiltinESMExports } from 'node:module';
import net, { type NetConnectOpts, type Socket } from 'node:net';

/** As reading a socket fails when the system has no memory for it. */
export const SOCKET_ERROR = 'read ENOBUFS';

/**
 * From now on reading from a socket into memory of its own fails after that many bytes, as it does in Node: the socket
 * is destroyed with the error. What it returns ends that.
 */
export function breakSockets(after_bytes: number): () => void {
  const { connect } = net;
  const breaking = (options: NetConnectOpts): Socket => {
    const { onread } = options;
    if (onread === undefined) return connect(options);
    let read_bytes = 0;
    const socket: Socket = connect({
      ...options,
      onread: {
        ...onread,
        callback: (bytes, buffer) => {
          read_bytes += bytes;
          if (read_bytes > after_bytes) socket.destroy(failure());
          return onread.callback(bytes, buffer);
        },
      },
    });
    return socket;
  };
  net.connect = breaking as typeof connect;
  syncBuiltinESMExports();
  return () => {
    net.connect = connect;
    syncBuiltinESMExports();
  };
}

function failure(): Error {
  return Object.assign(new Error(SOCKET_ERROR), { code: 'ENOBUFS', syscall: 'read' });
}
