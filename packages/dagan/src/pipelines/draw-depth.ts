// Figures of face depth: sheets, turning surfaces, clips (Fig. 1, 8 and 10 of the paper), and point clouds.
import type { Picture } from '../media/pictures/picture.js';
import { VERSION } from '../version.js';
import { orbit, type Point3, swingAt } from '../visualization/camera.js';
import type { Rgb } from '../visualization/colors.js';
import { grid } from '../visualization/drawing.js';
import { heatPicture, sharedRange, type ValueRange } from '../visualization/maps.js';
import { encodePly } from '../visualization/ply.js';
import { drawSurface } from '../visualization/rasterizer.js';
import { centerSurface, faceCenter, plasterSurface } from '../visualization/surface.js';
import type { DepthEstimator, Relief } from './estimate-depth.js';
import type { DrawnFrame } from './figure.js';
import type { Squares } from './squares.js';

export type DepthFigureOptions = {
  /** Disparities shown darkest and brightest; default as they occur. */
  range?: ValueRange;
  /** Shows picture, disparity and surface beside each other. */
  sideBySide?: boolean;
  /** Shows a clip as a surface before a swinging camera. */
  turntable?: boolean;
  /** Shows the surface in grey, under a lamp. */
  plaster?: boolean;
  /** How far the camera swings to either side, in degrees; the time of one swing in seconds; frames per second. */
  yaw: number;
  seconds: number;
  fps: number;
};

/** Behind the surfaces. */
const NEUTRAL: Rgb = [232, 232, 232];

/** Pitch of the swinging camera, as part of its yaw. */
const PITCH = 0.3;

const COLUMNS = ['picture', 'disparity', 'shape', 'from left', 'from right'];

/** Frames of a clip that are looked at to find the range of its disparities. */
const RANGE_FRAMES = 16;

/** Draws the depth that an estimator, which stays the caller's, finds. */
export class DepthFigure {
  readonly #estimator: DepthEstimator;
  readonly #options: DepthFigureOptions;

  constructor(estimator: DepthEstimator, options: DepthFigureOptions) {
    this.#estimator = estimator;
    this.#options = options;
  }

  /** The disparity of one picture, or a row for each with what is known of its depth. @param names of several rows */
  async sheet(pictures: readonly Picture[], names?: readonly string[]): Promise<Picture> {
    const { sideBySide, range, yaw } = this.#options;
    const estimator = this.#estimator;
    if (pictures.length === 1 && !sideBySide) return heatPicture(await estimator.disparity(pictures[0]!), range);
    const cells: Picture[] = [];
    for (const picture of pictures) {
      const relief = await estimator.relief(picture);
      const view = (angle: number): Picture => this.#view(relief, { yaw: angle, pitch: 0 });
      const shape = this.#view(relief, { yaw: yaw / 2, pitch: PITCH * yaw }, { plaster: true });
      cells.push(picture, heatPicture(relief.disparity, range), shape, view(-yaw), view(yaw));
    }
    return grid(cells, {
      columns: COLUMNS.length,
      gap: 4,
      columnLabels: COLUMNS,
      rowLabels: names,
      background: [255, 255, 255],
    });
  }

  /** The surface as the bytes of a .ply, the face at the origin and its distance the unit. */
  async cloud(picture: Picture, { withTriangles }: { withTriangles?: boolean } = {}) {
    const { surface, depth, camera } = await this.#estimator.relief(picture);
    const centered = centerSurface(surface, faceCenter(depth, camera));
    const comments = [
      `made by dagan ${VERSION}`,
      'x right, y up, z towards the viewer; the face at the origin, its distance from the camera is 1',
      `camera: ${this.#estimator.cameraSource}`,
    ];
    const [points, triangles] = [surface.positions.length / 3, withTriangles ? surface.triangles.length / 3 : 0];
    return { bytes: encodePly(centered, { comments, withTriangles }), points, triangles };
  }

  /** A picture's surface, turning, or a clip's depth. */
  frames(squares: Squares): AsyncGenerator<DrawnFrame> {
    return squares.moving ? this.#play(squares) : this.#turn(squares);
  }

  /** One swing around a picture's surface. */
  async *#turn(squares: Squares): AsyncGenerator<DrawnFrame> {
    const { yaw, fps, range, sideBySide, seconds } = this.#options;
    for await (const { squares: pictures } of squares.frames()) {
      const picture = pictures[0]!;
      const relief = await this.#estimator.relief(picture);
      const still = sideBySide ? [picture, heatPicture(relief.disparity, range)] : [];
      const count = Math.round(fps * seconds);
      for (let i = 0; i < count; i++) {
        const turned = this.#view(relief, swingAt(i / count, { yaw, pitch: PITCH * yaw }));
        yield { picture: grid([...still, turned]), timestamp: i / fps, duration: 1 / fps };
      }
    }
  }

  /** A clip's disparity, in one range of colours for all of it, and its surface while the camera swings. */
  async *#play(squares: Squares): AsyncGenerator<DrawnFrame> {
    const { yaw, sideBySide, turntable, seconds } = this.#options;
    const estimator = this.#estimator;
    const surface = turntable || sideBySide;
    const disparity = !turntable || sideBySide;
    const range = this.#options.range ?? (disparity ? await this.#rangeOf(squares) : undefined);
    let around: Point3 | undefined;
    for await (const { squares: pictures, timestamp, duration } of squares.frames()) {
      const picture = pictures[0]!;
      const panels: Picture[] = sideBySide ? [picture] : [];
      if (!surface) panels.push(heatPicture(await estimator.disparity(picture), range));
      else {
        const relief = await estimator.relief(picture);
        if (disparity) panels.push(heatPicture(relief.disparity, range));
        // The camera goes around a fixed point: were it to follow the face, the face would not be seen to move.
        around ??= faceCenter(relief.depth, relief.camera);
        panels.push(this.#view(relief, swingAt(timestamp / seconds, { yaw, pitch: PITCH * yaw }), { around }));
      }
      yield { picture: grid(panels), timestamp, duration };
    }
  }

  async #rangeOf(squares: Squares): Promise<ValueRange> {
    const maps = [];
    for await (const { squares: pictures } of squares.sample(RANGE_FRAMES)) {
      maps.push(await this.#estimator.disparity(pictures[0]!));
    }
    return sharedRange(maps);
  }

  /** The surface before a camera that stands elsewhere. */
  #view(
    { surface, depth, camera }: Relief,
    { yaw, pitch }: { yaw: number; pitch: number },
    { plaster = this.#options.plaster, around }: { plaster?: boolean; around?: Point3 } = {},
  ): Picture {
    return drawSurface(plaster ? plasterSurface(surface) : surface, {
      width: depth.width,
      height: depth.height,
      camera,
      pose: orbit(around ?? faceCenter(depth, camera), yaw, pitch),
      background: NEUTRAL,
    });
  }
}
