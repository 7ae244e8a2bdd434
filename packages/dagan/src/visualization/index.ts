// What the networks see, as pictures. Runs in Node and in browsers.
export * from './colors.js';
export * from './drawing.js';
export * from './keypoints.js';
export * from './maps.js';
