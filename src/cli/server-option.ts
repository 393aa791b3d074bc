/** The option that names a server, and the variable that does so for all commands. */
import { Option } from 'commander'

const DEFAULT_SERVER = 'http://127.0.0.1:8080'

export const serverOption = (what = 'address of the server'): Option =>
  new Option('--server <url>', what).env('NORTHBRIDGE_SERVER').default(DEFAULT_SERVER)
