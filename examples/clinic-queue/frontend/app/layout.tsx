import type { ReactNode } from "react";

export const metadata = { title: "대기 순번" };

export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="ko">
      <body>{children}</body>
    </html>
  );
}
