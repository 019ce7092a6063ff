/**
 * What `configure` has set, for the worker and for `<facegeom-view>`.
 *
 * @type {{data?: string, threads?: number}}
 */
export const settings = {};
