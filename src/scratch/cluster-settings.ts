import { totalmem } from 'node:os';

const MB = 1024 * 1024;

/**
 * The settings of a server that loads a dump as fast as it can and is then thrown away.
 * Source: https://www.postgresql.org/docs/current/populate.html and .../non-durability.html
 * @param memory_bytes of this machine, or of the container.
 */
export function clusterSettings(
  socketDirectory: string,
  memory_bytes = availableMemory(),
): Record<string, string> {
  return {
    // On a unix socket and nowhere else, for those who reach its directory.
    listen_addresses: '',
    unix_socket_directories: socketDirectory,
    unix_socket_permissions: '0700',
    // Nobody needs these data after a power failure, nor twice.
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    wal_level: 'minimal',
    max_wal_senders: '0',
    archive_mode: 'off',
    restart_after_crash: 'off',
    // Seldom enough not to matter, often enough not to fill the disk with what was written already.
    max_wal_size: '1GB',
    checkpoint_timeout: '1h',
    // Each table is read once: what would make later work faster only costs.
    autovacuum: 'off',
    track_counts: 'off',
    track_activities: 'off',
    bgwriter_lru_maxpages: '0',
    jit: 'off',
    // Containers have 64 MB in /dev/shm, which parallel index builds fill.
    dynamic_shared_memory_type: 'mmap',
    huge_pages: 'off',
    shared_buffers: `${megabytes(memory_bytes / 16, 32, 256)}MB`,
    maintenance_work_mem: `${megabytes(memory_bytes / 32, 32, 256)}MB`,
    // A restore in one transaction holds a lock on everything it made, and so does the dump that follows.
    max_locks_per_transaction: '2048',
    max_connections: '50',
    // What a client did wrong, the client is told; its statements hold data.
    log_min_messages: 'log',
    log_min_error_statement: 'panic',
    log_checkpoints: 'off',
    logging_collector: 'off',
    log_destination: 'stderr',
    cluster_name: 'cofre drill',
  };
}

function availableMemory(): number {
  // Without a limit it is 0, or larger than the machine.
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

function megabytes(bytes: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, Math.floor(bytes / MB)));
}
