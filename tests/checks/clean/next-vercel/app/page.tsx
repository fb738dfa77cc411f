export default function Page() {
  return <main>{process.env.NEXT_PUBLIC_API_URL}</main>;
}
