// Reads damaged files until the time is over: pictures, clips, checkpoints, exported models, data sets and their indices, and
// requests to `dagan studio`. Each case follows from its seed. What ends in anything but a result or an error of one line is
// reported, and its input kept in out/fuzz/; it becomes a test.
// Usage: npm run fuzz -- [--minutes 10] [--seed N] [--only TARGET]...    one case again: --only TARGET --seed N --cases 1
import { fork } from 'node:child_process';
import { copyFile, mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
    cases: { type: 'string', default: '1000000' },
    only: { type: 'string', multiple: true },
  },
});

/** Seconds without a new case after which the process is ended: longer than any reader's own time limit. */
const PATIENCE = 90;

const ALL = ['pictures', 'clips', 'checkpoints', 'exported', 'datasets', 'requests'];
const targets = values.only ?? ALL;
const unknown = targets.find((target) => !ALL.includes(target));
if (unknown !== undefined) {
  console.error(`there is no target ${unknown}; choose among ${ALL.join(', ')}`);
  process.exit(2);
}
const worker = fileURLToPath(new URL('./fuzz/worker.mjs', import.meta.url));
const findings = fileURLToPath(new URL('../out/fuzz', import.meta.url));
const share = (Number(values.minutes) * 60_000) / targets.length;
let faults = 0;

for (const target of targets) {
  const until = Date.now() + share;
  let next = Number(values.seed);
  const last = next + Number(values.cases) - 1;
  const first = next;
  while (Date.now() < until && next <= last) next = await stretch(target, next, last, until);
  console.log(`${target}: ${next - first} cases from seed ${first} on`);
}
console.log(faults === 0 ? 'nothing was found' : `${faults} faults; inputs are in out/fuzz/`);
process.exit(faults === 0 ? 0 : 1);

/** Runs cases until the time is over or the process ends; returns the seed to go on with. */
function stretch(target, from, last, until) {
  return new Promise((resolve) => {
    const child = fork(worker, [target, String(from), String(last), findings], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let [seed, input, words, over] = [from, undefined, '', false];
    let patience;
    const wait = () => {
      clearTimeout(patience);
      patience = setTimeout(() => end('stands still'), PATIENCE * 1000);
    };
    const end = (why) => {
      over = why === undefined;
      words = why ?? words;
      child.kill('SIGKILL');
    };
    child.stderr.setEncoding('utf8').on('data', (text) => {
      words = (words + text).slice(-2000);
    });
    child.on('message', (message) => {
      if (message.type === 'case') {
        seed = message.seed;
        wait();
        if (Date.now() > until) end(undefined);
      } else if (message.type === 'input') {
        input = message.path;
      } else {
        tell(target, message.seed, message.fault);
      }
    });
    child.on('close', async (code, signal) => {
      clearTimeout(patience);
      if (over) return resolve(seed);
      if (code === 0) return resolve(last + 1);
      tell(target, seed, `the process ended (${signal ?? code}): ${words}`);
      await keep(`${target}-${seed}`, input);
      resolve(seed + 1);
    });
    wait();
  });
}

function tell(target, seed, fault) {
  faults++;
  console.log(`\n${target}, seed ${seed}: ${fault}\n`);
}

/** Keeps the input of a case whose process ended before it could do so itself. */
async function keep(name, input) {
  if (input === undefined) return;
  await mkdir(findings, { recursive: true });
  await copyFile(input, join(findings, `${name}-${basename(input)}`)).catch(() => undefined);
}
