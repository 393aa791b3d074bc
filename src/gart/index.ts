export { type ApertureOptions, ApertureUnit } from './aperture.ts'
