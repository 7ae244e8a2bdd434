// Content credentials (C2PA): a signed statement of a file's origin, bound to its bytes, through the optional package
// @contentauth/c2pa-wasm. Nothing is asked of the network: the signature carries no time of a third party, and whether its
// certificate is to be trusted is the reader's business.
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { extname } from 'node:path';
import { firstLine, MediaError, systemCode } from '../errors.js';
import { algorithmOf, coseLength, coseSignature } from './cose.js';
import type { MediaMetadata } from './provenance.js';

type C2pa = typeof import('@contentauth/c2pa-wasm');

/** Media types of the files that can hold credentials, by the ending of their names. */
const TYPES: Readonly<Record<string, string>> = {
  '.mp4': 'video/mp4',
  '.m4v': 'video/mp4',
  '.mov': 'video/quicktime',
  '.gif': 'image/gif',
  '.webp': 'image/webp',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
};

/** What is printed where the optional package is not installed. */
const MISSING =
  'needs the optional package @contentauth/c2pa-wasm for content credentials, which is not installed here; add it with: npm install @contentauth/c2pa-wasm@0.13.3';

/** Signs files. */
export type ContentSigner = {
  /** Throws a `MediaError` if a file of this name cannot hold credentials. */
  check(path: string): void;
  /**
   * Signs a finished file in place.
   *
   * @param path the name that it will have
   * @param part the file
   */
  sign(path: string, part: string, metadata: MediaMetadata): Promise<void>;
};

/**
 * A signer with a certificate of the user's.
 *
 * @param certificate PEM file with the certificate, then those of its issuers, without the root
 * @param key PEM file with its private key: EC (P-256, P-384, P-521), Ed25519 or RSA
 * @throws MediaError that names the file and what is wrong with it, or the package if that is not installed
 */
export async function openContentSigner(files: { certificate: string; key: string }): Promise<ContentSigner> {
  const chain = await readChain(files.certificate);
  const key = await readKey(files.key);
  const algorithm = algorithmOf(key);
  if (!algorithm) throw new MediaError(files.key, 'is no EC (P-256, P-384, P-521), Ed25519 or RSA key');
  const [own] = chain as [X509Certificate];
  if (!own.checkPrivateKey(key)) throw new MediaError(files.key, `is not the key of ${files.certificate}`);
  if (Date.parse(own.validTo) < Date.now()) throw new MediaError(files.certificate, `has expired on ${own.validTo}`);
  const c2pa = await loadC2pa(files.certificate);
  const length = coseLength(chain);
  const check = (path: string): string => {
    const type = TYPES[extname(path).toLowerCase()];
    if (type !== undefined) return type;
    throw new MediaError(path, `cannot hold content credentials; ${Object.keys(TYPES).join(' ')} can`);
  };
  return {
    check,
    async sign(path, part, metadata) {
      const type = check(path);
      using builder = c2pa.WasmBuilder.fromJson(JSON.stringify(manifestOf(metadata)));
      const sign = async (claim: Uint8Array) => new Uint8Array(coseSignature(claim, { key, chain, length }));
      try {
        const source = new MemoryBlob(new Uint8Array(await readFile(part)));
        const signed = await builder.sign({ alg: algorithm.name, reserveSize: length, sign }, [], type, source);
        await writeFile(part, signed);
      } catch (error) {
        throw new MediaError(path, `cannot be signed by ${files.certificate}: ${refusal(error)}`, { cause: error });
      }
    },
  };
}

/** What a file's credentials say. */
export type ContentCredentials = {
  /** Common name and organisation in the certificate, as far as they are stated. */
  signer: string;
  /** Whether the signature fits the file. Whether its certificate can be trusted is not looked into. */
  intact: boolean;
};

/** The credentials in a file; undefined if it has none, or is of a kind that cannot. */
export async function readCredentials(path: string): Promise<ContentCredentials | undefined> {
  const type = TYPES[extname(path).toLowerCase()];
  if (type === undefined) return undefined;
  const c2pa = await loadC2pa(path);
  const bytes = await readFile(path).catch((error: unknown) => {
    throw new MediaError(path, `cannot be read whole: ${firstLine(error)}`, { cause: error });
  });
  let store: ManifestStore;
  try {
    store = await readStore(c2pa, type, bytes);
  } catch (error) {
    if (/JumbfNotFound/.test(String(error))) return undefined;
    throw new MediaError(path, `whether it has content credentials cannot be read: ${firstLine(error)}`, {
      cause: error,
    });
  }
  const { common_name: name, issuer } = store.manifests[store.active_manifest]?.signature_info ?? {};
  const signer = [name, issuer].filter((part) => part).join(', ');
  return { signer: signer || 'not named', intact: problemsOf(store).length === 0 };
}

/** What the library tells of a file, as far as it is read here. */
type ManifestStore = {
  active_manifest: string;
  manifests: Readonly<Record<string, { signature_info?: { common_name?: string; issuer?: string } }>>;
  validation_state: string;
  validation_status?: readonly { code: string }[];
};

async function readStore(c2pa: C2pa, type: string, bytes: Uint8Array): Promise<ManifestStore> {
  using reader = await c2pa.WasmReader.fromBytes(type, bytes);
  return JSON.parse(reader.json());
}

/** Why the library, which checks what it has signed, refuses it. Its message is a list of all its checks. */
function refusal(error: unknown): string {
  const failed = String(error).matchAll(
    /code: "([^"]+)"(?:(?!code: )[\s\S])*?explanation: Some\("([^"]*)"\)(?:(?!code: )[\s\S])*?kind: Failure/g,
  );
  const reasons = [...failed].filter(([, code]) => code !== UNTRUSTED).map(([, , explanation]) => explanation!);
  if (reasons.length === 0) return firstLine(error).slice(0, 200);
  const remedy =
    'a certificate must be issued by another, for digital signatures, and have an extended key usage such as e-mail protection';
  return `${reasons.join(', ')} (${remedy})`;
}

/** The status of a certificate that is on no list of trusted ones: nothing here has such a list. */
const UNTRUSTED = 'signingCredential.untrusted';

/** What is wrong with a file's credentials. That nobody vouches for the certificate is not. */
function problemsOf({ validation_state: state, validation_status: found = [] }: ManifestStore): string[] {
  if (state !== 'Invalid') return [];
  const codes = found.map(({ code }) => code).filter((code) => code !== UNTRUSTED);
  return codes.length > 0 ? codes : ['Invalid'];
}

/** The statement to be signed. */
function manifestOf({ title, comment, origin }: MediaMetadata): object {
  const [name = 'dagan', version] = origin?.creatorTool?.split(' ') ?? [];
  const tool = { name, ...(version !== undefined && { version }) };
  const action = {
    action: 'c2pa.created',
    digitalSourceType: origin?.digitalSourceType,
    softwareAgent: tool,
    description: comment,
  };
  return {
    title,
    claim_generator_info: [tool],
    assertions: [{ label: 'c2pa.actions.v2', data: { actions: [action] } }],
  };
}

async function readChain(path: string): Promise<X509Certificate[]> {
  const pem = await readText(path);
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g);
  if (!blocks) throw new MediaError(path, 'holds no certificate; a PEM file has BEGIN CERTIFICATE in it');
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (error) {
    throw new MediaError(path, `holds a damaged certificate (${firstLine(error)})`, { cause: error });
  }
}

async function readKey(path: string): Promise<KeyObject> {
  const pem = await readText(path);
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw new MediaError(path, 'holds no private key that can be read; it must be a PEM file without a password', {
      cause: error,
    });
  }
}

async function readText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: unknown) => {
    throw new MediaError(path, `cannot be read: ${firstLine(error)}`, { cause: error });
  });
}

let loaded: Promise<C2pa> | undefined;

/** The package, loaded once it can be. @param path of the file that it is for */
async function loadC2pa(path: string): Promise<C2pa> {
  loaded ??= load();
  try {
    return await loaded;
  } catch (error) {
    loaded = undefined;
    if (systemCode(error) === 'ERR_MODULE_NOT_FOUND') throw new MediaError(path, MISSING, { cause: error });
    throw error;
  }
}

async function load(): Promise<C2pa> {
  const c2pa: C2pa = await import('@contentauth/c2pa-wasm');
  const module = await readFile(createRequire(import.meta.url).resolve('@contentauth/c2pa-wasm/c2pa.wasm'));
  c2pa.initSync({ module });
  // Signing reads its source as web workers do; Node.js has no such reader.
  Reflect.set(globalThis, 'FileReaderSync', MemoryReader);
  return c2pa;
}

/** A blob whose content is at hand at once. */
class MemoryBlob extends Blob {
  constructor(readonly content: Uint8Array<ArrayBuffer>) {
    super([content]);
  }

  override slice(start?: number, end?: number): Blob {
    return new MemoryBlob(this.content.subarray(start, end));
  }
}

/** `FileReaderSync` of such blobs. */
class MemoryReader {
  readAsArrayBuffer({ content }: MemoryBlob): ArrayBuffer {
    return new Uint8Array(content).buffer;
  }
}
