/** Begun with before a program: prints, at its end, the address of each module that it loaded. */
import { registerHooks } from 'node:module'

const loaded = new Set<string>()
registerHooks({
  load(url, context, next) {
    loaded.add(url)
    return next(url, context)
  },
})
process.on('exit', () => process.stderr.write([...loaded].join('\n')))
