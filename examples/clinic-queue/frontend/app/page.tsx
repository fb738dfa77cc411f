import { ahead } from "../lib/wait.mjs";

const api = process.env.NEXT_PUBLIC_API_URL ?? "http://localhost:8000";

export default function Page() {
  return (
    <main>
      <h1>대기 순번</h1>
      <p>내 앞에 {ahead(5, 2)}명이 있습니다.</p>
      <form action={`${api}/tickets`} method="post">
        <button>접수</button>
      </form>
    </main>
  );
}
