/** Commands on documents and captures: validate, show. */
import type { Command } from 'commander'
import type { ShowOptions } from './actions/documents.ts'
import type { CommandEnvironment } from './environment.ts'
import { manual } from './help.ts'

export function addDocumentCommands(root: Command, environment: CommandEnvironment): void {
  const validate = root
    .command('validate')
    .description('judge a topology document')
    .argument('<file>', 'JSON or YAML')
    .option('--json', 'print JSON for programs')
    .action(async (file: string, options: { readonly json?: true }) => {
      const { validateTopology } = await import('./actions/documents.ts')
      await validateTopology(file, options, environment)
    })
  manual(validate, [['validate my-server.yaml', 'every wrong field is named']])

  const show = root
    .command('show')
    .description('draw a platform as a tree, with its groups and remapping units')
    .argument('<what>', 'topology: a name or a file; with --server: a platform')
    .option('--server <url>', 'show a platform of this server')
    .option('--json', 'print JSON for programs')
    .action(async (what: string, options: ShowOptions) => {
      const actions = await import('./actions/documents.ts')
      await actions.show(what, options, environment)
    })
  manual(show, [
    ['show one-socket-82576', 'a machine that ships with Northbridge'],
    ['show my-server.yaml --json', 'one of yours, for programs'],
    ['show example --server http://127.0.0.1:8080', 'a platform that runs'],
  ])
}
