/** What `corral fleet sync` says of three boxes of which attic has an old copy of llama3.2. */
export const syncPlan = `desk   nothing to do
attic  pull llama3.2:latest  2.0 GB  stale: baf6a787fdff, desk has a80c4f17acd5
shed   nothing to do
1 pull on 1 box, 2.0 GB at most
`;
