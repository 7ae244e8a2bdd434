// The part of `pipelines` that runs in browsers as in Node: motion templates in memory.
export { isMotionName, MOTION_ENDING, motionInBytes } from './motion-format.js';
