/** `fleet.boxes[].binding` elsewhere than on Workers. */
export const noBindings =
  'bindings are a thing of Workers, and this is none: leave `binding` out and give the box a url that is reached from here';
