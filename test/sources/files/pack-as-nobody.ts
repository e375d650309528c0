/** Packs and checks a directory without root's rights, and prints the results. Run by pack-faults.test.ts. */
import { findUnreadable } from '../../../src/sources/files/find-unreadable.ts';
import { packTree } from '../../../src/sources/files/pack.ts';
import { RemarkCollector } from '../../../src/sources/files/remarks.ts';

const NOBODY = 65_534;

// Only now, with every module loaded: the checkout may lie where nobody else can read.
if (process.getuid?.() === 0) {
  process.setgroups?.([]);
  process.setgid?.(NOBODY);
  process.setuid?.(NOBODY);
}
const roots = [{ path: process.argv[2] ?? '', as: 'top' }];
const options = { roots, exclude: [], leaveOut: process.argv.slice(3) };
const remarks = new RemarkCollector();
const archive = Buffer.concat([
  ...packTree(options, remarks, () => Buffer.allocUnsafeSlow(1_048_576)),
]).toString('base64');
const unreadable = await findUnreadable(options, new AbortController().signal);
process.stdout.write(JSON.stringify({ archive, remarks: remarks.collected(), unreadable }));
