/** `northbridge completion`: what a shell has to know to complete commands, written out as a script of its own. */
import { type Command, Option } from 'commander'
import type { CommandEnvironment } from './environment.ts'
import { manual } from './help.ts'

/** What may follow the words of a command: commands below it, and flags. */
interface Continuation {
  readonly words: string
  readonly next: readonly string[]
  /** Flags whose value comes next. */
  readonly taking: readonly string[]
}

const SHELLS = ['bash', 'zsh', 'fish'] as const
type Shell = (typeof SHELLS)[number]

export function addCompletionCommand(root: Command, environment: CommandEnvironment): void {
  const command = root
    .command('completion')
    .description('print a script that completes commands and flags in your shell')
    .argument('<shell>', SHELLS.join(', '))
    .action((shell: string) => {
      const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell as Shell] : undefined
      if (script === undefined) return command.error(`error: completion is there for ${SHELLS.join(', ')}`)
      environment.print(script(continuations(root)))
    })
  manual(command, [
    ['completion bash > ~/.local/share/bash-completion/completions/northbridge', 'for bash'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of the user's shell
    ['completion zsh > "${fpath[1]}/_northbridge"', 'for zsh'],
    ['completion fish > ~/.config/fish/completions/northbridge.fish', 'for fish'],
  ])
}

function continuations(command: Command, above: readonly string[] = []): readonly Continuation[] {
  const visible = command.options.filter(option => !option.hidden)
  const flags = [...visible, new Option('--help')].flatMap(({ short, long }) =>
    (long ?? short) ? [long ?? short!] : [],
  )
  const taking = visible.filter(option => option.required || option.optional).map(({ long }) => long!)
  const below = command.commands.map(each => each.name())
  const here: Continuation = { words: above.join(' '), next: [...below, ...flags], taking }
  return [here, ...command.commands.flatMap(each => continuations(each, [...above, each.name()]))]
}

/** Cases of a table from the words so far to what may follow. */
const casesOf = (rows: readonly Continuation[], value: (row: Continuation) => string): string =>
  rows.map(row => `    '${row.words}') ${value(row)} ;;`).join('\n')

/**
 * Words that are no flags are followed down the commands as far as they name any: what comes behind are arguments. A name
 * of a file may stand wherever a flag wants its value, and in the place of an argument.
 */
const bash = (rows: readonly Continuation[]): string => `# Completion of northbridge for bash.
_northbridge_next() {
  case "$1" in
${casesOf(rows, row => `echo '${row.next.join(' ')}'`)}
  esac
}
_northbridge_taking() {
  case "$1" in
${casesOf(
  rows.filter(row => row.taking.length > 0),
  row => `echo ' ${row.taking.join(' ')} '`,
)}
  esac
}
_northbridge() {
  local current="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" path= word deeper
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ $word == -* ]] && continue
    deeper="\${path:+$path }$word"
    [[ -n $(_northbridge_next "$deeper") ]] || break
    path=$deeper
  done
  COMPREPLY=()
  if [[ $(_northbridge_taking "$path") != *" $before "* ]]; then
    COMPREPLY=($(compgen -W "$(_northbridge_next "$path")" -- "$current"))
  fi
  [[ \${#COMPREPLY[@]} -gt 0 || $current == -* ]] || COMPREPLY=($(compgen -f -- "$current"))
}
complete -o filenames -F _northbridge northbridge`

/** The functions of bash, in zsh's own emulation of them. */
const zsh = (rows: readonly Continuation[]): string => `#compdef northbridge
autoload -U +X bashcompinit && bashcompinit
${bash(rows)}`

const fish = (rows: readonly Continuation[]): string =>
  [
    '# Completion of northbridge for fish.',
    'function __northbridge_at',
    '  set -l words (commandline -opc)[2..]',
    "  set -l names (string match -v -- '-*' $words)",
    '  test "$names" = "$argv"',
    'end',
    ...rows.flatMap(({ words, next }) =>
      next.map(word => {
        const what = word.startsWith('--') ? `-l ${word.slice(2)}` : `-f -a ${word}`
        return `complete -c northbridge -n '__northbridge_at ${words}' ${what}`
      }),
    ),
  ].join('\n')

const SCRIPTS: Readonly<Record<Shell, (rows: readonly Continuation[]) => string>> = { bash, zsh, fish }
