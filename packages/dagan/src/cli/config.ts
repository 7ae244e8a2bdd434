// Options from a YAML file, as if they stood on the command line before all others.
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { parse } from 'yaml';
import { UserError } from './errors.js';

/**
 * The words of the command line with those of the file that `--config` names, which later ones override.
 *
 * @param words the command and what follows it
 * @throws UserError naming the file, if it cannot be read or is no list of options
 */
export function withConfig(words: readonly string[], root: Command): readonly string[] {
  const [name, ...rest] = words;
  const command = root.commands.find((each) => each.name() === name);
  const at = rest.findIndex((word) => word === '--config' || word.startsWith('--config='));
  if (!command?.options.some(({ long }) => long === '--config') || at < 0) return words;
  const path = rest[at]!.startsWith('--config=') ? rest[at]!.slice('--config='.length) : rest[at + 1];
  if (path === undefined) return words; // commander says what is missing
  return [name!, ...wordsOf(path, command), ...rest];
}

function wordsOf(path: string, command: Command): string[] {
  let settings: unknown;
  try {
    settings = parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new UserError(`${path}: cannot be read as YAML: ${(error as Error).message.split('\n')[0]}`);
  }
  if (typeof settings !== 'object' || settings === null || Array.isArray(settings)) {
    throw new UserError(`${path}: must hold options, such as "smooth: 0.5", one a line`);
  }
  return Object.entries(settings).flatMap(([key, value]) => {
    const option = command.options.find(({ long }) => long === `--${key}` || long === `--no-${key}`);
    if (!option || key === 'config') throw new UserError(`${path}: \`dagan ${command.name()}\` has no option '${key}'`);
    if (typeof value === 'boolean') return value === option.negate ? [] : value || option.negate ? [option.long!] : [];
    return Array.isArray(value) ? value.map((each) => `--${key}=${each}`) : [`--${key}=${textOf(value)}`];
  });
}

/** `{ pose: 1, mouth: 1.2 }` is written pose=1,mouth=1.2. */
const textOf = (value: unknown): string =>
  typeof value === 'object' && value !== null
    ? Object.entries(value)
        .map(([part, amount]) => `${part}=${amount}`)
        .join(',')
    : `${value}`;
