// Makes certificates for tests of signing: X.509 (RFC 5280) in DER, as far as content credentials want it.
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

const der = (tag: number, ...parts: Uint8Array[]): Buffer => {
  const body = Buffer.concat(parts);
  const { length } = body;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), body]);
};
const sequence = (...parts: Uint8Array[]): Buffer => der(0x30, ...parts);
const set = (...parts: Uint8Array[]): Buffer => der(0x31, ...parts);
const identifier = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'));
const octets = (content: Uint8Array): Buffer => der(0x04, content);
const bits = (content: Uint8Array): Buffer => der(0x03, Buffer.from([0]), content);
const utf8 = (text: string): Buffer => der(0x0c, Buffer.from(text));
const time = (date: Date): Buffer => {
  const digits = date.toISOString().replace(/[-:T]|\.\d+/g, ''); // 20260101000000Z, of which UTCTime takes two of the year
  return der(0x17, Buffer.from(digits.slice(2)));
};

const YES = der(0x01, Buffer.from([0xff]));
const ECDSA_SHA256 = sequence(identifier('2a8648ce3d040302'));
const nameOf = (organisation: string, common: string): Buffer =>
  sequence(set(sequence(identifier('55040a'), utf8(organisation))), set(sequence(identifier('550403'), utf8(common))));
const extension = (hex: string, critical: boolean, content: Buffer): Buffer =>
  sequence(identifier(hex), ...(critical ? [YES] : []), octets(content));

const KEY_ID = { signer: Buffer.alloc(20, 1), issuer: Buffer.alloc(20, 2) };

export type TestCertificate = { certificate: string; key: string };

/** Kinds of keys a signer may have. */
const KEYS = {
  'P-256': () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  'P-384': () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  'P-521': () => generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  RSA: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  Ed25519: () => generateKeyPairSync('ed25519'),
};

/** What can be chosen of a certificate. */
export type TestCertificateOptions = {
  kind?: keyof typeof KEYS;
  /** How long it is valid from now on; negative for one that has expired. */
  years?: number;
  /** Whether it says that it is for signing documents, as it must. */
  fit?: boolean;
};

/** A signer's certificate with its issuer's, and its key, as PEM. */
export function testCertificate({
  kind = 'P-256',
  years = 2,
  fit = true,
}: TestCertificateOptions = {}): TestCertificate {
  const [own, issuer] = [KEYS[kind](), KEYS['P-256']()];
  const [ownName, issuerName] = [nameOf('Test Studio', 'A Signer'), nameOf('Test Studio', 'An Issuer')];
  const now = new Date();
  const before = new Date(now.getTime() - 10 * 365 * 86_400_000);
  const until = new Date(now.getTime() + years * 365 * 86_400_000);
  const make = (serial: number, subject: Buffer, publicKey: KeyObject, extensions: Buffer[]): string => {
    const body = sequence(
      der(0xa0, der(0x02, Buffer.from([2]))),
      der(0x02, Buffer.from([serial])),
      ECDSA_SHA256,
      issuerName,
      sequence(time(before), time(until)),
      subject,
      publicKey.export({ type: 'spki', format: 'der' }),
      der(0xa3, sequence(...extensions)),
    );
    const whole = sequence(body, ECDSA_SHA256, bits(sign('sha256', body, issuer.privateKey)));
    const lines = whole
      .toString('base64')
      .match(/.{1,64}/g)!
      .join('\n');
    return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
  };
  const authority = extension('551d23', false, sequence(der(0x80, KEY_ID.issuer)));
  const signer = make(2, ownName, own.publicKey, [
    extension('551d13', true, sequence()), // no authority
    extension('551d0f', true, der(0x03, Buffer.from([7, 0x80]))), // digital signature
    ...(fit ? [extension('551d25', true, sequence(identifier('2b06010505070304')))] : []), // e-mail protection
    extension('551d0e', false, octets(KEY_ID.signer)),
    authority,
  ]);
  const above = make(1, issuerName, issuer.publicKey, [
    extension('551d13', true, sequence(YES)),
    extension('551d0f', true, der(0x03, Buffer.from([1, 0x06]))), // signs certificates and lists
    extension('551d0e', false, octets(KEY_ID.issuer)),
    authority,
  ]);
  return {
    certificate: signer + above,
    key: own.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}
