/**
 * `northbridge policy …`: configuration files and requests as people have them, put to running platforms of a server,
 * or to platforms that are made of topologies for this one question.
 */
import { type Command, Option } from 'commander'
import type { PolicyOptions, PolicyVerb } from './actions/policy.ts'
import { catalogue } from './catalogue/catalogue.ts'
import type { CommandEnvironment } from './environment.ts'
import { choicesIn, manual } from './help.ts'
import { serverOption } from './server-option.ts'

const NOVA = '--policy nova=nova.conf --requests requests.yaml'

/** Each with what it answers, and an example. */
const VERBS: readonly (readonly [verb: PolicyVerb, answers: string, example: string])[] = [
  ['plan', 'which functions each machine would get, or why none', `${NOVA} --topology two-socket-82599`],
  [
    'apply',
    'give the machines what the policy chooses, all or nothing',
    `${NOVA} --platform example --spread`,
  ],
  [
    'explain',
    'one machine on one platform, function by function',
    `${NOVA} --topology two-socket-82599 --vm db`,
  ],
  [
    'compare',
    'one machine under several systems, side by side',
    `${NOVA} --policy linux-vfio --topology two-socket-82599 --vm web`,
  ],
  ['drift', 'who gets other functions if addresses change', `${NOVA} --topology two-socket-82599`],
]

export function addPolicyCommands(root: Command, environment: CommandEnvironment): void {
  const policy = root.command('policy').description('ask assignment policies what they decide, and do it')
  for (const [verb, answers, example] of VERBS) {
    const command = addFlags(policy.command(verb).description(answers)).action(
      async (options: PolicyOptions) => {
        const { askPolicy } = await import('./actions/policy.ts')
        await askPolicy(verb, options, environment)
      },
    )
    manual(command, [[`policy ${verb} ${example}`, answers]], ['NORTHBRIDGE_SERVER', 'NORTHBRIDGE_TOKEN'])
  }
}

const many = (value: string, before: readonly string[]): readonly string[] => [...before, value]

const addFlags = (command: Command): Command =>
  command
    .addOption(
      new Option('--policy <system=file,…>', 'a system and its configuration files')
        .argParser(many)
        .default([] as readonly string[], 'none')
        .makeOptionMandatory(),
    )
    .requiredOption('--requests <file>', 'machines and what they need, JSON or YAML')
    .option('--topology <name-or-file>', 'a platform made of this, on the spot', many, [])
    .option('--platform <name>', 'a platform of the server', many, [])
    .option('--vfs <function=count>', 'with --topology: enable these virtual functions first', many, [])
    .option('--vm <name>', 'explain, compare: the machine that is meant, if there are several')
    .option('--spread', 'plan, apply: emptiest host first')
    .addOption(serverOption())
    .option('--json', 'print JSON for programs')
    .addHelpText('after', choicesIn('Systems and their files', catalogue().policySystems))
