/** Restores what comes on stdin, which its caller never ends: `restore-half.ts <url>`. */
import { PLAIN, SIGNAL, targetOf } from './restoring.ts';

const [, , url = ''] = process.argv;
await targetOf(url).restore(process.stdin, PLAIN, SIGNAL);
