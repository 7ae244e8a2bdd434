// What outputs say of their origin: that they are synthetic, and what made them.
import { readFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import {
  type ContentSigner,
  type DIGITAL_SOURCE_TYPES,
  type MediaMetadata,
  openContentSigner,
  syntheticMetadata,
} from '../media/index.js';
import type { ModelMetadata } from '../models/index.js';
import { UsageError } from './errors.js';

/** Version of this package. */
export const VERSION: string = JSON.parse(
  readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'),
).version;

/** Title, comment and origin for an output of this program. @param of what it shows, see `syntheticMetadata` */
export const provenance = (model: ModelMetadata, of: keyof typeof DIGITAL_SOURCE_TYPES): MediaMetadata =>
  syntheticMetadata(model, of, `dagan ${VERSION}`);

/** The user's certificate and its private key, as PEM files. */
export type SigningOptions = { c2paCertificate?: string; c2paKey?: string };

/** Adds the options of `chooseSigner`. */
export function addSigningOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--c2pa-certificate <pem>',
        'sign the output with content credentials (C2PA): your certificate, then those of its issuers',
      ).conflicts('provenance'),
    )
    .option('--c2pa-key <pem>', "that certificate's private key");
}

/** The signer that the options ask for. Throws a UsageError if only one of the two is given. */
export async function chooseSigner({
  c2paCertificate: certificate,
  c2paKey: key,
}: SigningOptions): Promise<ContentSigner | undefined> {
  if (certificate === undefined && key === undefined) return undefined;
  if (certificate === undefined || key === undefined) {
    throw new UsageError('--c2pa-certificate and --c2pa-key are given together');
  }
  return openContentSigner({ certificate, key });
}
