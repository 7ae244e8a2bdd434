// What a file says of its origin, in the fields that others read: IPTC's digital source type and AI system (IPTC Photo
// Metadata 2025.1) in an XMP packet (ISO 16684-1), or the same as Matroska tags, as that container has no XMP. Runs in Node
// and in browsers.

/** Terms of IPTC's vocabulary of digital source types that outputs of this program carry. */
export const DIGITAL_SOURCE_TYPES = {
  /** Every pixel was made by a trained network. */
  trained: 'http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia',
  /** What a trained network made stands in, or beside, pictures of another origin. */
  composite: 'http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia',
} as const;

/** What made a file. */
export type Origin = {
  /** Address of a term of IPTC's vocabulary, as in `DIGITAL_SOURCE_TYPES`. */
  digitalSourceType?: string;
  /** The program and its version. */
  creatorTool?: string;
  /** The network. */
  system?: string;
  /** The network's exact version. */
  systemVersion?: string;
};

/** Words stored inside an output file, for instance how it was made. */
export type MediaMetadata = {
  title?: string;
  comment?: string;
  origin?: Origin;
};

/**
 * What an animation says of itself: title, comment and origin. The model is named as far as its own file tells.
 *
 * @param model its name and the SHA-256 of its weights
 * @param of what is shown: `trained`, pixels that a network made and nothing else; `composite`, such pixels within or
 *   beside those of the portrait or the driving clip
 * @param program name and version
 */
export function syntheticMetadata(
  { name, sha256 }: { name?: string; sha256?: string },
  of: keyof typeof DIGITAL_SOURCE_TYPES,
  program: string,
): MediaMetadata {
  const version = sha256 && `sha256 ${sha256}`;
  const model = [name, version].filter((part) => part).join(', ');
  return {
    title: 'Synthetic media',
    comment: `A portrait animated by a driving video: no recording of what is shown. Made by ${program}${model ? `, model ${model}` : ''}.`,
    origin: {
      digitalSourceType: DIGITAL_SOURCE_TYPES[of],
      creatorTool: program,
      system: name || 'DaGAN',
      ...(version && { systemVersion: version }),
    },
  };
}

/** Title and comment as lines of one text, for formats with a single field. */
export function metadataText(metadata: MediaMetadata | undefined): string {
  return [metadata?.title, metadata?.comment].filter((text) => text !== undefined && text !== '').join('\n');
}

/** Namespace prefixes and names of the XMP properties of an origin. */
const PROPERTIES = {
  digitalSourceType: 'Iptc4xmpExt:DigitalSourceType',
  creatorTool: 'xmp:CreatorTool',
  system: 'Iptc4xmpExt:AISystemUsed',
  systemVersion: 'Iptc4xmpExt:AISystemVersionUsed',
} as const satisfies Record<keyof Origin, string>;

/** The same as names of Matroska tags. */
const TAGS = {
  digitalSourceType: 'DIGITAL_SOURCE_TYPE',
  creatorTool: 'CREATOR_TOOL',
  system: 'AI_SYSTEM_USED',
  systemVersion: 'AI_SYSTEM_VERSION_USED',
} as const satisfies Record<keyof Origin, string>;

const FIELDS = Object.keys(PROPERTIES) as (keyof Origin)[];

/** The XMP packet for metadata that states an origin; undefined for other metadata. */
export function xmpPacket(metadata: MediaMetadata | undefined): string | undefined {
  const { origin, title, comment } = metadata ?? {};
  if (!origin) return undefined;
  const attributes = FIELDS.filter((field) => origin[field] !== undefined).map(
    (field) => `\n    ${PROPERTIES[field]}="${escapeXml(origin[field]!)}"`,
  );
  const text = (name: string, value: string | undefined): string =>
    value === undefined
      ? ''
      : `\n   <dc:${name}><rdf:Alt><rdf:li xml:lang="x-default">${escapeXml(value)}</rdf:li></rdf:Alt></dc:${name}>`;
  return `<?xpacket begin="\uFEFF" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"${attributes.join('')}>${text('title', title)}${text('description', comment)}
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>`;
}

/** The kind of `uuid` box that holds an XMP packet in mp4 and mov: be7acfcb-97a9-42e8-9c71-999491e3afac. */
export const XMP_UUID = Uint8Array.of(
  ...[0xbe, 0x7a, 0xcf, 0xcb, 0x97, 0xa9, 0x42, 0xe8, 0x9c, 0x71, 0x99, 0x94, 0x91, 0xe3, 0xaf, 0xac],
);

/** A packet as the box that is added to a finished mp4 or mov (ISO 14496-12; XMP, part 3). */
export function xmpBox(packet: string): Uint8Array<ArrayBuffer> {
  const body = new TextEncoder().encode(packet);
  const head = [...new TextEncoder().encode('uuid'), ...XMP_UUID];
  const box = new Uint8Array(4 + head.length + body.length);
  new DataView(box.buffer).setUint32(0, box.length);
  box.set(head, 4);
  box.set(body, 4 + head.length);
  return box;
}

/**
 * Reads an XMP packet, whoever wrote it: the properties of an origin, `dc:title` and `dc:description`. Properties are known
 * by their local names and may be attributes, elements or references; of a text in several languages the first counts.
 */
export function parseXmp(packet: string): MediaMetadata {
  const origin: Origin = {};
  for (const field of FIELDS) {
    const value = xmpProperty(packet, PROPERTIES[field].split(':')[1]!);
    if (value !== undefined) origin[field] = value;
  }
  return metadataOf(xmpProperty(packet, 'title'), xmpProperty(packet, 'description'), origin);
}

/** An origin as Matroska tags. */
export function originTags(origin: Origin | undefined): Record<string, string> {
  const stated = FIELDS.filter((field) => origin?.[field] !== undefined);
  return Object.fromEntries(stated.map((field) => [TAGS[field], origin![field]!]));
}

/** Metadata from a container's tags, by their names. */
export function metadataFromTags(tags: {
  title?: string;
  comment?: string;
  raw?: Readonly<Record<string, unknown>>;
}): MediaMetadata {
  const origin: Origin = {};
  for (const field of FIELDS) {
    const value = tags.raw?.[TAGS[field]];
    if (typeof value === 'string') origin[field] = value;
  }
  return metadataOf(tags.title, tags.comment, origin);
}

/** Only what is there. */
function metadataOf(title: string | undefined, comment: string | undefined, origin: Origin): MediaMetadata {
  return {
    ...(title !== undefined && { title }),
    ...(comment !== undefined && { comment }),
    ...(Object.keys(origin).length > 0 && { origin }),
  };
}

function xmpProperty(packet: string, name: string): string | undefined {
  const attribute = new RegExp(`\\s[\\w-]+:${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)')`).exec(packet);
  if (attribute) return unescapeXml(attribute[1] ?? attribute[2]!);
  const reference = new RegExp(`<[\\w-]+:${name}\\s+rdf:resource\\s*=\\s*["']([^"']*)["']`).exec(packet);
  if (reference) return unescapeXml(reference[1]!);
  const element = elementContent(packet, `[\\w-]+:${name}`);
  return element && unescapeXml((elementContent(element, 'rdf:li') ?? element).trim());
}

/**
 * What the first element of that name holds; undefined if there is none, or it does not end. The end is looked for once, so
 * that hostile packets full of beginnings take no longer than others.
 *
 * @param tag regular expression for its name
 */
function elementContent(text: string, tag: string): string | undefined {
  const start = new RegExp(`<(${tag})(?:\\s[^<>]*)?>`).exec(text);
  if (!start) return undefined;
  const from = start.index + start[0].length;
  const end = text.indexOf(`</${start[1]}`, from);
  return end < 0 ? undefined : text.slice(from, end);
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function escapeXml(text: string): string {
  const names = Object.entries(ENTITIES);
  return text.replace(/[&<>"']/g, (character) => `&${names.find(([, value]) => value === character)![0]};`);
}

function unescapeXml(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex, decimal, name) => {
    if (name !== undefined) return ENTITIES[name as string] ?? whole;
    const code = hex === undefined ? Number(decimal) : Number.parseInt(hex as string, 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}
