// What outputs say of their origin: that they are synthetic, and what made them.
import { readFileSync } from 'node:fs';
import type { MediaMetadata } from '../media/index.js';
import type { ModelMetadata } from '../models/index.js';

/** Version of this package. */
export const VERSION: string = JSON.parse(
  readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'),
).version;

/** Title and comment for an output. The model is named as far as its own file tells. */
export function provenance({ name, sha256 }: ModelMetadata): MediaMetadata {
  const model = [name, sha256 && `sha256 ${sha256}`].filter((part) => part).join(', ');
  return {
    title: 'Synthetic media',
    comment: `A portrait animated by a driving video: no recording of what is shown. Made by dagan ${VERSION}${model ? `, model ${model}` : ''}.`,
  };
}
