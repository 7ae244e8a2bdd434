// `dagan completion`: scripts that let shells complete commands and options.
import { Argument, Command, type Option } from 'commander';

const EXAMPLES = `
Examples:
  dagan completion bash > ~/.local/share/bash-completion/completions/dagan
  dagan completion zsh > ~/.dagan-completion.zsh    (and in ~/.zshrc: source ~/.dagan-completion.zsh)
  dagan completion fish > ~/.config/fish/completions/dagan.fish`;

export function completionCommand(): Command {
  return new Command('completion')
    .description('print a script that lets a shell complete commands and options')
    .addArgument(new Argument('<shell>', 'which shell').choices(['bash', 'zsh', 'fish']))
    .addHelpText('after', EXAMPLES)
    .action((shell: string, _options: unknown, command: Command) => {
      const commands = command.parent!.commands;
      process.stdout.write(shell === 'fish' ? fishScript(commands) : bashScript(commands, shell));
    });
}

/** Options of a command and of those below it. */
const optionsOf = (command: Command): Option[] => [...command.options, ...command.commands.flatMap(optionsOf)];

const longOf = (command: Command): string[] => [...new Set(optionsOf(command).flatMap(({ long }) => long ?? []))];

function bashScript(commands: readonly Command[], shell: string): string {
  const cases = commands.map((command) => {
    const below = command.commands.map((each) => each.name());
    return `    ${command.name()}) options="${longOf(command).join(' ')} --help"; below="${below.join(' ')}" ;;`;
  });
  return `${shell === 'zsh' ? 'autoload -U +X bashcompinit && bashcompinit\n' : ''}_dagan() {
  local word="\${COMP_WORDS[COMP_CWORD]}" options="--help --version" below=""
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then below="${commands.map((command) => command.name()).join(' ')}"; fi
  case "$word" in
    -*) COMPREPLY=($(compgen -W "$options" -- "$word")) ;;
    *) COMPREPLY=($(compgen -W "$below" -- "$word") $([ "$COMP_CWORD" -gt 1 ] && compgen -f -- "$word")) ;;
  esac
}
complete -o filenames -F _dagan dagan
`;
}

function fishScript(commands: readonly Command[]): string {
  const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const lines = commands.flatMap((command) => [
    `complete -c dagan -n __fish_use_subcommand -f -a ${command.name()} -d ${quoted(command.description())}`,
    ...longOf(command).map(
      (long) => `complete -c dagan -n '__fish_seen_subcommand_from ${command.name()}' -l ${long.slice(2)}`,
    ),
  ]);
  return `${lines.join('\n')}\n`;
}
