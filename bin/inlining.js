// A translation is some thirty small functions deep. V8 inlines up to 920 bytes of bytecode into one function, which is
// half of that; with room for all of it, a miss takes two thirds of the time (`npm run bench -- vtd`).
import { setFlagsFromString } from 'node:v8'

setFlagsFromString('--max-inlined-bytecode-size=2000')
setFlagsFromString('--max-inlined-bytecode-size-cumulative=4000')
