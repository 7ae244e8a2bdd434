// The repository's examples, which come with the page.

/** An example as if it had been chosen. */
export async function exampleFile(url: string, name: string): Promise<File> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`the example could not be loaded (${response.status}); load the page again`);
  const blob = await response.blob();
  return new File([blob], name, { type: blob.type });
}
