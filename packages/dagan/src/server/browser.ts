// Opens an address in the user's browser.
import { spawn } from 'node:child_process';

/** @param onMissing told which program would have opened it, where that is missing */
export function openBrowser(url: string, onMissing: (program: string) => void): void {
  const [program, ...words] =
    process.platform === 'darwin'
      ? ['open', url]
      : process.platform === 'win32'
        ? ['explorer', url]
        : ['xdg-open', url];
  const child = spawn(program!, words, { stdio: 'ignore', detached: true });
  child.on('error', () => onMissing(program!));
  child.unref();
}
