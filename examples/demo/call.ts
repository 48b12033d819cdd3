/** One request, as a caller of the demo sends it; prints the status. `TOKEN` travels as a bearer token. */
import { Agent, get } from "node:http";

const token = process.env.TOKEN;
const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
get(
  process.env.URL_TO_CALL ?? "http://shop/",
  { agent: new Agent({ proxyEnv: process.env }), headers },
  (response) => {
    response.resume();
    process.stdout.write(`${response.statusCode}\n`);
  },
).on("error", (error) => {
  process.stdout.write(`0 ${error.message}\n`);
});
