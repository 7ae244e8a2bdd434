// Signatures as content credentials hold them: COSE_Sign1 (RFC 9052) with a certificate chain (RFC 9360), in CBOR.
import { constants, type KeyObject, sign, type X509Certificate } from 'node:crypto';

/** A way to sign: C2PA's name of it, COSE's number, the hash. */
export type SigningAlgorithm = { name: string; number: number; hash: string | undefined };

const CURVES: Readonly<Record<string, SigningAlgorithm>> = {
  prime256v1: { name: 'es256', number: -7, hash: 'sha256' },
  secp384r1: { name: 'es384', number: -35, hash: 'sha384' },
  secp521r1: { name: 'es512', number: -36, hash: 'sha512' },
};

/** How a private key signs; undefined for a key of a kind that content credentials do not know. */
export function algorithmOf(key: KeyObject): SigningAlgorithm | undefined {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === 'ed25519') return { name: 'ed25519', number: -8, hash: undefined };
  if (type === 'rsa' || type === 'rsa-pss') return { name: 'ps256', number: -37, hash: 'sha256' };
  return type === 'ec' ? CURVES[details?.namedCurve ?? ''] : undefined;
}

/** Bytes that the signature of a chain needs at most. */
export function coseLength(chain: readonly X509Certificate[]): number {
  return 2048 + chain.reduce((sum, { raw }) => sum + raw.length + 3, 0);
}

/**
 * Signs a payload that is not part of the result.
 *
 * @param chain the signer's certificate, then those of its issuers
 * @param length of the result, which is filled up to it
 */
export function coseSignature(
  payload: Uint8Array,
  { key, chain, length }: { key: KeyObject; chain: readonly X509Certificate[]; length: number },
): Uint8Array {
  const algorithm = algorithmOf(key);
  if (!algorithm) throw new TypeError(`a key of type ${key.asymmetricKeyType} cannot sign`);
  const certificates = chain.map(({ raw }) => bytes(raw));
  // 1: algorithm, 33: certificates, alone or as a list.
  const header = map([
    [integer(1), integer(algorithm.number)],
    [integer(33), certificates.length === 1 ? certificates[0]! : array(certificates)],
  ]);
  const message = array([text('Signature1'), bytes(header), bytes(new Uint8Array(0)), bytes(payload)]);
  const signature = sign(algorithm.hash, message, {
    key,
    dsaEncoding: 'ieee-p1363',
    ...(algorithm.number === -37 && { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }),
  });
  const filled = (padding: number): Buffer => {
    const unprotected = map([[text('pad'), bytes(new Uint8Array(padding))]]);
    return Buffer.concat([TAG, array([bytes(header), unprotected, NULL, bytes(signature)])]);
  };
  let padding = length - filled(0).length;
  while (padding > 0 && filled(padding).length > length) padding--; // the length of the padding takes bytes too
  const result = filled(Math.max(0, padding));
  if (result.length !== length) throw new RangeError(`the signature takes ${result.length} bytes, not ${length}`);
  return new Uint8Array(result);
}

/** COSE_Sign1, and CBOR's null, which stands for the payload. */
const TAG = Buffer.from([0xd2]);
const NULL = Buffer.from([0xf6]);

function head(kind: number, value: number): Buffer {
  const major = kind << 5;
  if (value < 24) return Buffer.from([major | value]);
  if (value < 0x100) return Buffer.from([major | 24, value]);
  if (value < 0x10000) return Buffer.from([major | 25, value >> 8, value & 0xff]);
  const long = Buffer.alloc(5);
  long.writeUInt8(major | 26);
  long.writeUInt32BE(value, 1);
  return long;
}

const integer = (value: number): Buffer => (value < 0 ? head(1, -1 - value) : head(0, value));
const bytes = (value: Uint8Array): Buffer => Buffer.concat([head(2, value.length), value]);
const text = (value: string): Buffer => Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
const array = (items: readonly Buffer[]): Buffer => Buffer.concat([head(4, items.length), ...items]);
const map = (pairs: readonly (readonly [Buffer, Buffer])[]): Buffer =>
  Buffer.concat([head(5, pairs.length), ...pairs.flat()]);
