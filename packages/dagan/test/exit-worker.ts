// A program that ends by `process.exit` while its engines are at work. Arguments: what the engines are set up with as JSON, and
// after how many milliseconds of work to end with code 7.
import { type EngineSetup, EngineThreads } from '../src/animation/engines/engine-threads.js';
import { scene } from './media-fixtures.js';

const setup = JSON.parse(process.argv[2]!) as EngineSetup;
const engines = await EngineThreads.load([setup, setup], (one) => one);
const picture = scene(engines.size, engines.size, 1);
setTimeout(() => process.exit(7), Number(process.argv[3]));
for (;;) await engines.drive([picture, picture]);
