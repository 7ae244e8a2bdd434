// Lines, dots and short labels on pictures, and pictures set side by side.
import { createPicture, type Picture } from '../media/pictures/picture.js';
import type { Rgb } from './colors.js';

/** Pixels from the picture's left and top edge; whole numbers are the centres of pixels. */
export type Point = readonly [x: number, y: number];

/** Draws a line with round ends, `radius` to either side and smooth edges, into the picture. Equal ends make a dot. */
export function drawLine(picture: Picture, [ax, ay]: Point, [bx, by]: Point, radius: number, color: Rgb): void {
  const { width, height, data } = picture;
  const reach = radius + 1;
  const [left, right] = [
    Math.max(0, Math.floor(Math.min(ax, bx) - reach)),
    Math.min(width - 1, Math.max(ax, bx) + reach),
  ];
  const [top, bottom] = [
    Math.max(0, Math.floor(Math.min(ay, by) - reach)),
    Math.min(height - 1, Math.max(ay, by) + reach),
  ];
  const square = (bx - ax) ** 2 + (by - ay) ** 2;
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      const along = square > 0 ? ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / square : 0;
      const t = Math.min(1, Math.max(0, along));
      const distance = Math.hypot(x - ax - t * (bx - ax), y - ay - t * (by - ay));
      const cover = Math.min(1, Math.max(0, radius + 0.5 - distance));
      if (cover === 0) continue;
      const at = 3 * (y * width + x);
      for (let c = 0; c < 3; c++) data[at + c] = Math.round(data[at + c]! * (1 - cover) + color[c]! * cover);
    }
  }
}

/** Characters, each with its rows of three pixels from the top, an octal digit each: 5 is "# #". */
const GLYPHS = new Map(
  `A25755 B65656 C34443 D65556 E74647 F74644 G34553 H55755 I72227 J11152 K55655 L44447 M57755 N65555 O25552 P65644 Q25563
   R65655 S34216 T72222 U55557 V55552 W55775 X55255 Y55222 Z71247 075557 126227 261247 361216 455711 574616 634752 771122
   875757 925716 .00002 _00007 -00700 :02020 /11244`
    .split(/\s+/)
    .map((entry) => [entry[0]!, [...entry.slice(1)].map(Number)] as const),
);

/** Height of a label's line in pixels, space included. */
export const LABEL_HEIGHT = 16;

/** Writes a short text (letters, digits, `._-:/`) in small capitals, `left` and `top` being its corner. */
export function drawLabel(
  picture: Picture,
  text: string,
  left: number,
  top: number,
  color: Rgb = [235, 235, 235],
): void {
  const { width, height, data } = picture;
  for (const [i, character] of [...text.toUpperCase()].entries()) {
    const rows = GLYPHS.get(character) ?? [0, 0, 0, 0, 0];
    for (let y = 0; y < 10; y++) {
      for (let x = 0; x < 6; x++) {
        if (((rows[y >> 1]! >> (2 - (x >> 1))) & 1) === 0) continue;
        const [column, row] = [left + 8 * i + x, top + y];
        if (column < width && row < height) data.set(color, 3 * (row * width + column));
      }
    }
  }
}

/** Pixels that a label is wide. */
export const labelWidth = (text: string): number => 8 * [...text].length;

/** Copies a picture into another one, `left` and `top` being its corner there; it must fit. */
export function paste(target: Picture, picture: Picture, left: number, top: number): void {
  const stride = picture.width * 3;
  for (let y = 0; y < picture.height; y++) {
    const row = picture.data.subarray(y * stride, (y + 1) * stride);
    target.data.set(row, 3 * ((top + y) * target.width + left));
  }
}

/** Pictures of one height beside each other, whatever their widths. */
export function joinPictures(pictures: readonly Picture[]): Picture {
  const joined = createPicture(
    pictures.reduce((sum, { width }) => sum + width, 0),
    pictures[0]!.height,
  );
  let left = 0;
  for (const picture of pictures) {
    paste(joined, picture, left, 0);
    left += picture.width;
  }
  return joined;
}

export type GridOptions = {
  /** Pictures in a row; by default all. */
  columns?: number;
  /** Pixels between pictures. */
  gap?: number;
  /** A label above each picture. */
  labels?: readonly string[];
  /** A label at the head of each column. */
  columnLabels?: readonly string[];
  /** A label before each row. */
  rowLabels?: readonly string[];
  /** Colour of gaps and margins. Labels are light on dark colours, dark on light ones. */
  background?: Rgb;
};

/** Pictures of one size, row by row, as one picture. */
export function grid(
  pictures: readonly Picture[],
  { columns = pictures.length, gap = 0, labels, columnLabels, rowLabels, background = [0, 0, 0] }: GridOptions = {},
): Picture {
  const { width, height } = pictures[0]!;
  const head = labels ? LABEL_HEIGHT : 0;
  const rows = Math.ceil(pictures.length / columns);
  const top = columnLabels ? LABEL_HEIGHT : 0;
  const left = rowLabels ? Math.max(...rowLabels.map(labelWidth)) + 8 : 0;
  const sheet = createPicture(left + columns * (width + gap) - gap, top + rows * (height + head + gap) - gap);
  const ink: Rgb = background[1] < 128 ? [235, 235, 235] : [25, 25, 25];
  if (background.some((value) => value > 0)) {
    for (let i = 0; i < sheet.data.length; i += 3) sheet.data.set(background, i);
  }
  for (const [i, label] of (columnLabels ?? []).entries()) {
    drawLabel(sheet, label, left + i * (width + gap) + Math.max(0, (width - labelWidth(label)) >> 1), 3, ink);
  }
  for (const [i, label] of (rowLabels ?? []).entries()) {
    drawLabel(sheet, label, 4, top + i * (height + head + gap) + head + ((height - LABEL_HEIGHT) >> 1), ink);
  }
  for (const [i, picture] of pictures.entries()) {
    const x = left + (i % columns) * (width + gap);
    const y = top + Math.floor(i / columns) * (height + head + gap);
    if (labels) drawLabel(sheet, labels[i]!, x + 3, y + 3, ink);
    paste(sheet, picture, x, y + head);
  }
  return sheet;
}
