// A portrait and a clip in, an animated clip out, on the starter weights: faces are found and squares cut by themselves.
//
//   node examples/dist/animate-clip.js [PORTRAIT] [CLIP] [OUTPUT] [FRAMES]
import { animateClip, DaganError } from 'dagan';

const [portrait = 'examples/portrait.png', driving = 'examples/driving.mp4', output = 'animated.mp4', frames = '50'] =
  process.argv.slice(2);

const stop = new AbortController();
process.once('SIGINT', () => stop.abort()); // nothing half-written is left

try {
  const { width, height, ...made } = await animateClip({
    portrait,
    driving,
    output,
    end: Number(frames),
    smoothing: 0.5,
    controls: { strength: 1.2 },
    signal: stop.signal,
    onEvent: (event) => {
      if (event.type !== 'progress') console.log(`${event.type} ${event.code}: ${event.message}`);
      else if (event.ended) console.log(`${event.label}: ${event.done} frames`);
    },
  });
  console.log(`${output}: ${made.frames} frames of ${width} x ${height} in ${made.seconds.toFixed(1)} s`);
} catch (error) {
  if (!(error instanceof DaganError)) throw error;
  console.error(`${error.code}: ${error.message}`); // what is wrong as a code, and error.values with it
  process.exitCode = 1;
}
