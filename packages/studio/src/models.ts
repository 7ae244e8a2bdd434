// Which models there are to choose from, as the server lists them.

/** A model: a name for people, and its folder below the page. */
export type ModelChoice = { name: string; folder: string };

/** The model of hosts that list none, and of those that cannot be reached. */
const USUAL: readonly ModelChoice[] = [{ name: 'model', folder: 'model/' }];

/** Where the browser keeps the list for use without a network (Web Storage). */
const KEPT = 'dagan-studio-models';

/** Milliseconds for which the server is waited for. */
const PATIENCE = 3000;

/** The models, the usual one first; without a network those of the last visit. */
export async function listModels(): Promise<readonly ModelChoice[]> {
  try {
    const response = await fetch('./models.json', { cache: 'no-cache', signal: AbortSignal.timeout(PATIENCE) });
    const list: unknown = response.ok ? await response.json() : USUAL;
    if (!isList(list)) return USUAL;
    localStorage.setItem(KEPT, JSON.stringify(list));
    return list;
  } catch {
    return keptList();
  }
}

function keptList(): readonly ModelChoice[] {
  try {
    const list: unknown = JSON.parse(localStorage.getItem(KEPT) ?? 'null');
    return isList(list) ? list : USUAL;
  } catch {
    return USUAL; // nothing is kept in some private windows, and anybody may have written there
  }
}

function isList(list: unknown): list is readonly ModelChoice[] {
  const isModel = (entry: Partial<ModelChoice> | null): boolean =>
    typeof entry?.name === 'string' && typeof entry.folder === 'string';
  return Array.isArray(list) && list.length > 0 && list.every(isModel);
}
