// What outputs say of their origin: that they are synthetic, and what made them.
import { type DIGITAL_SOURCE_TYPES, type MediaMetadata, syntheticMetadata } from '../media/provenance/provenance.js';
import type { ModelMetadata } from '../models/files/model-file.js';
import { VERSION } from '../version.js';

export { VERSION };

/** Title, comment and origin for an output of this program. @param of what it shows, see `syntheticMetadata` */
export const provenance = (model: ModelMetadata, of: keyof typeof DIGITAL_SOURCE_TYPES): MediaMetadata =>
  syntheticMetadata(model, of, `dagan ${VERSION}`);
