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

/** Tables of bash and zsh: what may follow the words so far, and which flags take a value. */
const tables = (rows: readonly Continuation[]): string => `_northbridge_next() {
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
}`

/**
 * Words that are no flags are followed down the commands as far as they name any: what comes behind are arguments. A name
 * of a file may stand wherever a flag wants its value, and in the place of an argument.
 */
const bash = (rows: readonly Continuation[]): string => `# Completion of northbridge for bash.
${tables(rows)}
_northbridge() {
  local current="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" at= word deeper
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ $word == -* ]] && continue
    deeper="\${at:+$at }$word"
    [[ -n $(_northbridge_next "$deeper") ]] || break
    at=$deeper
  done
  COMPREPLY=()
  if [[ $(_northbridge_taking "$at") != *" $before "* ]]; then
    COMPREPLY=($(compgen -W "$(_northbridge_next "$at")" -- "$current"))
  fi
  [[ \${#COMPREPLY[@]} -gt 0 || $current == -* ]] || COMPREPLY=($(compgen -f -- "$current"))
}
complete -o filenames -F _northbridge northbridge`

/** The same by the means of zsh. As a file in `fpath` it is the body of the function when that is first called. */
const zsh = (rows: readonly Continuation[]): string => `#compdef northbridge
# Completion of northbridge for zsh.
${tables(rows)}
_northbridge() {
  local at= word deeper
  for word in "\${(@)words[2,CURRENT-1]}"; do
    [[ $word == -* ]] && continue
    deeper="\${at:+$at }$word"
    [[ -n $(_northbridge_next "$deeper") ]] || break
    at=$deeper
  done
  if [[ $(_northbridge_taking "$at") != *" \${words[CURRENT-1]} "* ]]; then
    compadd -- $(_northbridge_next "$at") && return
  fi
  [[ $PREFIX == -* ]] || _files
}
if [[ \${funcstack[1]} == _northbridge ]]; then
  _northbridge "$@"
else
  compdef _northbridge northbridge
fi`

/** fish asks each row whether it holds where the cursor is, and offers files where no command may follow. */
const fish = (rows: readonly Continuation[]): string =>
  [
    '# Completion of northbridge for fish.',
    `set -g __northbridge_commands ${rows.flatMap(({ words }) => (words === '' ? [] : [`'${words}'`])).join(' ')}`,
    'function __northbridge_at',
    '  set -l at',
    '  for word in (commandline -opc)[2..]',
    "    string match -q -- '-*' $word; and continue",
    '    set -l deeper $at $word',
    '    contains -- "$deeper" $__northbridge_commands; or break',
    '    set at $deeper',
    '  end',
    '  test "$at" = "$argv"',
    'end',
    ...rows.flatMap(({ words, next, taking }) =>
      next.map(word => {
        const flag = `-l ${word.slice(2)}${taking.includes(word) ? ' -r' : ''}`
        const what = word.startsWith('--') ? flag : `-f -a ${word}`
        return `complete -c northbridge -n '__northbridge_at ${words}' ${what}`
      }),
    ),
  ].join('\n')

const SCRIPTS: Readonly<Record<Shell, (rows: readonly Continuation[]) => string>> = { bash, zsh, fish }
