/** Which of the metrics of an experiment a plot shows. */
export function MetricChoice({
  of,
  value,
  choose,
}: {
  readonly of: readonly string[]
  readonly value: string
  readonly choose: (metric: string) => void
}) {
  return (
    <label class="field">
      <span>shows</span>
      <select value={value} onChange={event => choose(event.currentTarget.value)}>
        {of.map(metric => (
          <option key={metric}>{metric}</option>
        ))}
      </select>
    </label>
  )
}
