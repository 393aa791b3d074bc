/**
 * After a server was killed, what its platforms did last is in their logs only. While it answers again, their states are
 * kept, one platform after the other, so that whoever needs one later does not wait for its commands to be done again.
 */
import type { FastifyInstance } from 'fastify'
import type { Namespaces } from '../access/index.ts'
import type { CommandRunner } from './commands.ts'

export function addCatchingUp(app: FastifyInstance, namespaces: Namespaces, commands: CommandRunner): void {
  let closing = false
  let working: Promise<void> = Promise.resolve()
  app.addHook('onListen', async () => {
    working = catchUp().catch(error => app.log.warn({ err: error }, 'platforms were not caught up with'))
  })
  app.addHook('preClose', async () => {
    closing = true
    await working
  })

  async function catchUp(): Promise<void> {
    for (const { name, journal } of namespaces.all()) {
      for (const platform of journal.behind) {
        if (closing) return
        await commands.run(name, [platform], () => journal.catchUp(platform))
      }
    }
  }
}
