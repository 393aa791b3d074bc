export { followJourney, type Journey } from './journey.ts'
export type { JourneyCosts, JourneyStep } from './recorder.ts'
