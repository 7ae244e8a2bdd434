// Signing outputs with the user's certificate.
import { type Command, Option } from 'commander';
import { UsageError } from './errors.js';

/** The user's certificate and its private key, as PEM files. */
export type SigningOptions = { c2paCertificate?: string; c2paKey?: string };

/** Adds the options of `signingOf`. */
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

/** The files that the options name. Throws a UsageError if only one of the two is given. */
export function signingOf({
  c2paCertificate: certificate,
  c2paKey: key,
}: SigningOptions): { certificate: string; key: string } | undefined {
  if (certificate === undefined && key === undefined) return undefined;
  if (certificate === undefined || key === undefined) {
    throw new UsageError('--c2pa-certificate and --c2pa-key are given together');
  }
  return { certificate, key };
}
