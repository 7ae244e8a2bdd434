// Full precision for geometry and losses inside networks that run in 16 bits: with 8 bits of mantissa a pixel's coordinate
// would be off by up to a pixel.
export { exactly as inFullPrecision, widened } from '../models/precision.js';
