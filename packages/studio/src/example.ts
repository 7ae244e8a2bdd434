// The repository's examples, which come with the page.
import ladyAgnew from '../../../examples/lady-agnew.jpg?url';
import monaLisa from '../../../examples/mona-lisa.jpg?url';
import astronaut from '../../../examples/portrait.png?url';

export type ExamplePortrait = { title: string; url: string; fileName: string };

/** Portraits to begin with: a photograph and two paintings. */
export const EXAMPLE_PORTRAITS: readonly ExamplePortrait[] = [
  { title: 'Astronaut', url: astronaut, fileName: 'portrait.png' },
  { title: 'Mona Lisa', url: monaLisa, fileName: 'mona-lisa.jpg' },
  { title: 'Lady Agnew', url: ladyAgnew, fileName: 'lady-agnew.jpg' },
];

/** An example as if it had been chosen. */
export async function exampleFile(url: string, name: string): Promise<File> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`the example could not be loaded (${response.status}); load the page again`);
  const blob = await response.blob();
  return new File([blob], name, { type: blob.type });
}
