/** JSON Schema of experiment documents, for editors: stories and sweeps are one kind of file. */
import { storyJsonSchema } from './document.ts'
import { sweepJsonSchema } from './sweeps/index.ts'

export function experimentJsonSchema(): object {
  const { $schema: dialect, ...story } = storyJsonSchema()
  const { $schema: _same, ...sweep } = sweepJsonSchema() as { $schema?: string }
  return {
    $schema: dialect,
    title: 'Northbridge experiment',
    if: { required: ['configuration'] },
    // biome-ignore lint/suspicious/noThenProperty: the keyword of JSON Schema
    then: sweep,
    else: story,
  }
}
