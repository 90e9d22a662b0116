// BullMQ, fifty jobs at once, on the Redis that it is given: safe or not as that one is.
const { Queue, Worker } = require("bullmq");

const connection = { host: "127.0.0.1", port: Number(new URL(process.env.REDIS_URL).port), maxRetriesPerRequest: null };
const many = Number(process.argv[2]);
const kept = { removeOnComplete: true };

async function main() {
  const queue = new Queue("bench", { connection });
  const figures = {};
  let done = 0;
  let wake = () => {};
  let begun = performance.now();
  for (let n = 0; n < many / 4; n++) await queue.add("nothing", {}, kept);
  figures.one_per_s = (1000 * (many / 4)) / (performance.now() - begun);
  begun = performance.now();
  let left = many / 2;
  const submit = async () => {
    while (left-- > 0) await queue.add("nothing", {}, kept);
  };
  await Promise.all(Array.from({ length: 32 }, submit));
  figures.flight_per_s = (1000 * (many / 2)) / (performance.now() - begun);
  const worker = new Worker("bench", async () => {}, { connection, concurrency: 50 });
  worker.on("completed", () => (done++, wake()));
  const until = async (count) => {
    while (done < count) await new Promise((resolve) => (wake = resolve));
  };
  await until(Math.ceil(many / 4) + Math.ceil(many / 2));
  done = 0;
  begun = performance.now();
  const jobs = Array.from({ length: many }, () => ({ name: "nothing", data: {}, opts: kept }));
  for (let n = 0; n < many; n += 500) await queue.addBulk(jobs.slice(n, n + 500));
  figures.bulk_per_s = (1000 * many) / (performance.now() - begun);
  await until(many);
  figures.done_per_s = (1000 * many) / (performance.now() - begun);
  const took = [];
  for (let n = 0; n < 40; n++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    done = 0;
    begun = performance.now();
    await queue.add("nothing", {}, kept);
    await until(1);
    took.push(performance.now() - begun);
  }
  figures.latency_ms = took.sort((a, b) => a - b)[20];
  console.log(JSON.stringify(figures));
  process.exit(0);
}

main();
