/** Writes the types and the routes of the typed client from the HTTP contract: `src/client/contract.ts`. */
import { readFileSync, writeFileSync } from 'node:fs'
import { clientContract } from '../src/client/generator/contract-text.ts'

const contract = JSON.parse(readFileSync(new URL('../openapi/openapi.json', import.meta.url), 'utf8'))
writeFileSync(new URL('../src/client/contract.ts', import.meta.url), clientContract(contract))
console.log('src/client/contract.ts')
