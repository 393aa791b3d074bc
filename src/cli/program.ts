/**
 * The command line: parse, call, render. These files say which commands there are, and load next to nothing; what a command
 * does is in `actions/`, loaded when it is wanted. So help comes at once, and a command waits for its own parts only.
 */
import { Command, CommanderError } from 'commander'
import { VERSION } from '../core/version.ts'
import { addCompareCommands } from './compare-commands.ts'
import { addCompletionCommand } from './completion.ts'
import { addConformCommands } from './conform-commands.ts'
import { addDocumentCommands } from './document-commands.ts'
import type { CommandEnvironment } from './environment.ts'
import { addExperimentCommands } from './experiment-commands.ts'
import { addGroupCommands } from './group-commands.ts'
import { manual, statusesAndVariables } from './help.ts'
import { addInterchangeCommands } from './interchange-commands.ts'
import { addOperationCommands } from './operation-commands.ts'
import { complainAbout, type Output } from './output.ts'
import { addPlatformCommands } from './platform-commands.ts'
import { addPolicyCommands } from './policy-commands.ts'
import { addPredictCommand } from './predict-command.ts'
import { addServeCommand } from './serve-command.ts'
import { addTokenCommands } from './token-commands.ts'
import { addWorkerCommand } from './worker-command.ts'

/** Runs one command line (without `node` and script) and returns the exit status. */
export async function runCli(
  args: readonly string[],
  output: Output,
  untilStopped: () => Promise<void> = () => Promise.resolve(),
): Promise<number> {
  let status = 0
  const environment: CommandEnvironment = {
    ...output,
    exit: wanted => {
      status = wanted
    },
    untilStopped,
  }
  try {
    await program(environment).parseAsync(args, { from: 'user' })
    return status
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    return complainAbout(error, output, args.includes('--json'))
  }
}

export function program(environment: CommandEnvironment): Command {
  const root = new Command('northbridge')
    .description('I/O virtualization platform simulator: VT-d, PCIe with SR-IOV, VMX and device assignment')
    .version(VERSION)
    .showHelpAfterError('(northbridge --help lists the commands)')
    .exitOverride()
    .configureOutput({
      writeOut: text => environment.print(text.trimEnd()),
      writeErr: text => environment.complain(text.trimEnd()),
    })
  addServeCommand(root, environment)
  addWorkerCommand(root, environment)
  addTokenCommands(root, environment)
  addExperimentCommands(root, environment)
  addDocumentCommands(root, environment)
  addPlatformCommands(root, environment)
  addInterchangeCommands(root, environment)
  addConformCommands(root, environment)
  addCompareCommands(root, environment)
  addGroupCommands(root, environment)
  addPolicyCommands(root, environment)
  addPredictCommand(root, environment)
  addCompletionCommand(root, environment)
  addOperationCommands(root, environment)
  manual(root, [
    ['show one-socket-82576', 'a machine, its functions, groups and remapping units'],
    ['demo', 'the story of an assignment'],
    ['serve --example', 'a server with an example platform'],
    ['functions dma --help', 'what a command takes'],
  ])
  root.addHelpText('after', () => `\n${statusesAndVariables()}`)
  return root
}
