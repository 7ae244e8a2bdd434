// The one table between our names and those of the published state dicts.

/** [our name, published name]; `$1` and so on carry over. The first row that matches counts. */
const TABLE: readonly [RegExp, string][] = [
  [/^keypoint_detector\./, 'kp_detector.'],
  [/^depth_network\.encoder\./, 'depth_encoder.'],
  [/^generator\.depth_first\./, 'generator.src_first.'],
  [/^generator\.depth_down_blocks\./, 'generator.src_down_blocks.'],
  [/^generator\.attention\./, 'generator.AttnModule.'],
  [/^generator\.decoder\.bottleneck\.(\d+)\./, 'generator.bottleneck.r$1.'],
  [/^generator\.decoder\.(up_blocks|final)\./, 'generator.$1.'],
  [/^generator\.decoder\.middle\.(\d+)\.(conv|norm)([01])\./, 'generator.decoder.G_middle_$1.$2_$3.'],
  [/^generator\.decoder\.up\.(\d+)\.(conv|norm)([01])\./, 'generator.decoder.up_$1.$2_$3.'],
  [/^generator\.decoder\.up\.(\d+)\.(conv|norm)_shortcut\./, 'generator.decoder.up_$1.$2_s.'],
  [/^generator\.decoder\.image\./, 'generator.decoder.conv_img.'],
];

/** Position of a convolution of the depth decoder in the published list: two per level, then the four heads. */
function publishedDepthDecoderName(name: string): string {
  return name
    .replace(/^depth_network\.decoder\.levels\.(\d+)\.(before|after)\.conv\./, (_, level: string, side: string) => {
      return `depth_decoder.decoder.${2 * Number(level) + (side === 'after' ? 1 : 0)}.conv.conv.`;
    })
    .replace(/^depth_network\.decoder\.disparity_heads\.(\d+)\./, (_, scale: string) => {
      return `depth_decoder.decoder.${10 + Number(scale)}.`;
    });
}

/** The published name of one of `DaGAN`'s tensors. */
export function publishedName(name: string): string {
  for (const [ours, published] of TABLE) if (ours.test(name)) return name.replace(ours, published);
  return publishedDepthDecoderName(name);
}
