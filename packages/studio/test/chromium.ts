// Where the browser for the tests is.
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome', 'chrome'];

/**
 * The path of Chromium: that of CHROMIUM_PATH, else the first one on the PATH.
 *
 * @throws Error that says how to install it
 */
export function findChromium(): string {
  const { CHROMIUM_PATH: chosen, PATH = '' } = process.env;
  if (chosen !== undefined) {
    if (existsSync(chosen)) return chosen;
    throw new Error(`CHROMIUM_PATH is ${chosen}, where there is no file: name the program of Chromium or Chrome`);
  }
  const places = [...PATH.split(delimiter), '/usr/bin'].flatMap((folder) => NAMES.map((name) => join(folder, name)));
  const found = places.find((path) => existsSync(path));
  if (found) return found;
  throw new Error(
    'the tests of the studio need Chromium: install it (Debian and Ubuntu: apt-get install chromium), or name the program in CHROMIUM_PATH',
  );
}

/** What Chromium needs where tests run: in containers its own sandbox cannot be set up. */
export const CHROMIUM_ARGUMENTS: readonly string[] = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
