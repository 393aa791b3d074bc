/** `northbridge token …`: who may use the servers of an installation. Works beside a server, which knows it within a second. */
import type { Command } from 'commander'
import type { CreateOptions, TokenOptions } from './actions/tokens.ts'
import { catalogue } from './catalogue/catalogue.ts'
import { databaseOption } from './database-option.ts'
import type { CommandEnvironment } from './environment.ts'
import { manual } from './help.ts'

export function addTokenCommands(root: Command, environment: CommandEnvironment): void {
  const group = root
    .command('token')
    .description('tokens of those who may use a server, kept where the server keeps everything')
  const withPlace = (command: Command): Command =>
    command
      .option('--data <folder>', 'of the server')
      .addOption(databaseOption('of the server, if it keeps everything in PostgreSQL'))
      .option('--json', 'print JSON for programs')

  const create = withPlace(group.command('create'))
    .description('make a token; it is shown once, and only a digest of it is kept')
    .requiredOption('--role <role>', `${catalogue().roles.join(', ')}: viewers only ask`)
    .option('--namespace <name>', 'the only one that it may be used in; administrators without one have all')
    .option('--note <text>', 'what it is for')
    .option('--days <number>', 'after which it is no longer valid')
    .action(async (options: CreateOptions) => {
      const { createToken } = await import('./actions/tokens.ts')
      await createToken(options, environment)
    })
  manual(
    create,
    [['token create --data world --role operator --namespace blue --days 30', 'for a month, one namespace']],
    ['DATABASE_URL'],
  )

  const list = withPlace(group.command('list'))
    .description('show the tokens that were made; what they are is not kept')
    .action(async (options: TokenOptions) => {
      const { listTokens } = await import('./actions/tokens.ts')
      await listTokens(options, environment)
    })
  manual(list, [['token list --data world', 'who may use the server of this folder']], ['DATABASE_URL'])

  const revoke = withPlace(group.command('revoke').argument('<id>', 'as `token list` shows it'))
    .description('take a token back; servers know it within a second')
    .action(async (id: string, options: TokenOptions) => {
      const { revokeToken } = await import('./actions/tokens.ts')
      await revokeToken(id, options, environment)
    })
  manual(revoke, [['token revoke 3f9c1a --data world', 'by its identifier']], ['DATABASE_URL'])
}
